package citystream.records;

import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The forms of a time and of a day that are taken; jobs/rules takes the same.
 *
 * <p>A time is the {@code date-time} of RFC 3339, and besides one with the offset {@code +0900} or {@code +09}, which
 * many systems write and ISO 8601 has:
 *
 * <ul>
 *   <li>taken: {@code 2026-11-21T03:04:05Z}, {@code 2026-11-21T12:04:05+09:00}, {@code 2026-11-21T12:04:05+0900},
 *       {@code 2026-11-21T12:04:05+09}; with a fraction of one to nine digits behind the seconds; {@code t} and
 *       {@code z} for {@code T} and {@code Z}; an offset of up to 18 hours, {@code -00:00} too
 *   <li>not taken: a time without seconds, without an offset or with one that has seconds; a space for the {@code T}; a
 *       point or comma without digits or with another ten; the second 60 (a leap second), the hour 24, a day that its
 *       month does not have
 *   <li>a year of more than four digits, or with a sign, is a time, but out of range
 * </ul>
 *
 * <p>A day is {@code 2026-11-21}, the {@code full-date} of RFC 3339.
 */
final class Times {
    /** What {@link #utcMillis} returns for another form. */
    static final long NONE = Long.MIN_VALUE;

    private static final int MAX_CHARS = 64;
    private static final Pattern DATE_TIME = Pattern.compile(
            "([+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]{1,9})?)"
                    + "(Z|([+-][0-9]{2})(?::?([0-9]{2}))?)",
            Pattern.CASE_INSENSITIVE);

    private Times() {}

    /** The milliseconds since 1970 of the 24 bytes yyyy-MM-ddTHH:mm:ss.SSSZ at p, or {@link #NONE}. */
    static long utcMillis(byte[] b, int p) {
        if (b[p + 4] != '-'
                || b[p + 7] != '-'
                || b[p + 10] != 'T'
                || b[p + 13] != ':'
                || b[p + 16] != ':'
                || b[p + 19] != '.'
                || b[p + 23] != 'Z') {
            return NONE;
        }
        int year = two(b, p) * 100 + two(b, p + 2);
        int month = two(b, p + 5);
        int day = two(b, p + 8);
        int hour = two(b, p + 11);
        int minute = two(b, p + 14);
        int second = two(b, p + 17);
        int last = b[p + 22] - '0';
        // two() is negative, by far, for what is no digit; the year's first half then outweighs its second.
        if (two(b, p) < 0
                || two(b, p + 2) < 0
                || year < 1
                || month < 1
                || month > 12
                || day < 1
                || day > lengthOfMonth(year, month)
                || hour < 0
                || hour > 23
                || minute < 0
                || minute > 59
                || second < 0
                || second > 59
                || two(b, p + 20) < 0
                || last < 0
                || last > 9) {
            return NONE;
        }
        return (epochDay(year, month, day) * 86_400L + hour * 3600 + minute * 60 + second) * 1000
                + two(b, p + 20) * 10
                + last;
    }

    /** Null if the text is no time. */
    static OffsetDateTime dateTime(String text) {
        Matcher matcher = DATE_TIME.matcher(text);
        if (text.length() > MAX_CHARS || !matcher.matches()) {
            return null;
        }
        String minutes = matcher.group(4) == null ? "00" : matcher.group(4);
        String offset = matcher.group(3) == null ? "Z" : matcher.group(3) + ':' + minutes;
        try {
            return OffsetDateTime.parse(longYear(matcher.group(1)) + offset);
        } catch (DateTimeException e) {
            return null;
        }
    }

    /** Null if the text is no day. */
    static LocalDate date(String text) {
        try {
            return text.length() > MAX_CHARS ? null : LocalDate.parse(longYear(text));
        } catch (DateTimeException e) {
            return null;
        }
    }

    /** A year of more than four digits has a sign in ISO 8601; without it, it is as much out of range. */
    private static String longYear(String text) {
        int dash = text.indexOf('-');
        return dash > 4 && text.charAt(0) != '+' ? "+" + text : text;
    }

    /** Two digits, or less than -100 if they are none. */
    private static int two(byte[] b, int at) {
        int tens = b[at] - '0';
        int ones = b[at + 1] - '0';
        return (tens | ones | 9 - tens | 9 - ones) < 0 ? -1000 : tens * 10 + ones;
    }

    private static int lengthOfMonth(int year, int month) {
        if (month == 2) {
            return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
        }
        return 30 + ((month + (month >> 3)) & 1);
    }

    /** Days since 1970-01-01 in the proleptic Gregorian calendar, for years from 1. */
    private static int epochDay(int year, int month, int day) {
        int y = month <= 2 ? year - 1 : year;
        int dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1; // from 1 March
        return y * 365 + y / 4 - y / 100 + y / 400 + dayOfYear - 719_468;
    }
}
