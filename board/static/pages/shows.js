// Shows that tickets are sold for: a list; one of them with its curve, its seats and what was sold twice.

import { detail, facts } from "../detail.js";
import { h } from "../dom.js";
import { regionName, shown } from "../format.js";
import { list } from "../table.js";
import { t } from "../text.js";

export function show(main, context) {
  if (context.id) {
    return detail(main, context, "shows", {
      head: (parts) => {
        const [own] = parts.show ?? [];
        if (!own) return { name: context.id, lead: null };
        const seats = context.places.venues.find((each) => each.name === own.venue)?.seats;
        const taken = own.sold - own.cancelled;
        const share = seats ? Math.min(1, taken / seats) : 0;
        return {
          name: own.show_name ?? context.id,
          lead: [
            h("a", { href: `/regions/${own.region}` }, regionName(own.region)), " · ", h("bdi", {}, own.venue ?? ""), ` · ${context.id}`,
            seats && h("span.meter", { role: "img", "aria-label": `${t("seats_taken")}: ${shown(taken, "count")} ${t("of_seats", { seats: shown(seats, "count") })}` },
              h("span.track", {}, h("span.fill", { style: { width: `${share * 100}%`, background: "var(--plum-3)" } })),
              h("span", {}, `${t("seats_taken")} ${shown(taken, "count")} ${t("of_seats", { seats: shown(seats, "count") })} (${shown(share, "share")})`)),
            facts(["sold", "cancelled", "revenue", "first_sale", "last_sale", "sold_out_at"], own),
          ],
        };
      },
    });
  }
  context.title(t("shows_page"));
  const node = h("section.card.wide", { "aria-label": t("shows_page") });
  main.append(h("h1", { tabIndex: -1 }, t("shows_page")), node);
  list(node, "shows", { label: t("shows_page"), filters: { region: context.places.districts.map(({ code }) => [code, regionName(code)]) }, range: "days" });
}
