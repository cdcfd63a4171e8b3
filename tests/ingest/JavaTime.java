// What Java's DateTimeFormatter makes of patterns. Lines in: zone, instant, pattern, with tabs
// between. Lines out: `text` and the text; `pattern`: refused; `thrown`: neither. Java throws where
// text is wider than its pad, a year has 11 to 18 letters, or a number follows a padded one.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

public class JavaTime {
    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] asked = line.split("\t", -1);
            out.print(answer(asked[0], asked[1], asked[2]) + "\n");
        }
        out.flush();
    }

    static String answer(String zone, String instant, String pattern) {
        var at = Instant.parse(instant).atZone(ZoneId.of(zone));
        try {
            return "text\t" + DateTimeFormatter.ofPattern(pattern, Locale.US).format(at);
        } catch (IllegalArgumentException refused) {
            return "pattern\t";
        } catch (DateTimeException | ArrayIndexOutOfBoundsException | ClassCastException thrown) {
            return "thrown\t";
        }
    }
}
