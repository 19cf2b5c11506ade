package citystream.records;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.DoubleType;
import org.apache.flink.table.types.logical.IntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.VarCharType;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The table of cases that Python's rules are held to as well (tests/unit/test_cases.py). */
class RecordCasesTest {
    private static final Path CASES = Path.of("..", "..", "tests", "cases", "json.json");

    private final RecordJsonParser parser = new RecordJsonParser(
            new String[] {"name", "count", "weight"},
            new LogicalType[] {VarCharType.STRING_TYPE, new IntType(), new DoubleType()},
            new boolean[] {false, false, true},
            4096);

    @TestFactory
    List<DynamicTest> aValueHasItsReason() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        for (JsonNode each : new ObjectMapper().readTree(CASES.toFile()).get("cases")) {
            byte[] value = each.has("base64")
                    ? Base64.getDecoder().decode(each.get("base64").asText())
                    : each.get("text").asText().getBytes(StandardCharsets.UTF_8);
            String reason =
                    each.get("reason").isNull() ? null : each.get("reason").asText();
            tests.add(DynamicTest.dynamicTest(each.toString(), () -> assertEquals(reason, reason(value))));
        }
        return tests;
    }

    private String reason(byte[] value) {
        String problem = parser.parse(value, new GenericRowData(3));
        return problem == null ? null : problem.substring(0, problem.indexOf(':'));
    }
}
