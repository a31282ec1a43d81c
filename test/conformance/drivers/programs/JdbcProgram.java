import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** PgJDBC: the line protocol of a driver's program, and the behaviours. Run from its source. */
public final class JdbcProgram {
  /** A router of several workers shares clients evenly, so that among so many one is with every worker. */
  private static final int DISPLACERS = 8;

  private static final String PASSWORD = System.getenv("DRIVERS_PASSWORD");
  private static final String TEXT = "Grüße 'quoted' \\ \"€\" 😀";
  private static final int MANY = 32767;
  private static final String LARGE = "pg-metako ".repeat(104858).substring(0, 1048576);
  private static final long DEADLINE_MS = 10_000;
  private static final Map<String, Connection> KEPT = new HashMap<>();

  private interface Act<T> {
    T run() throws Exception;
  }

  private record Place(String place, int port, String user, String tag, List<Connection> opened) {
    Connection connect(String... changes) throws SQLException {
      Properties properties = new Properties();
      properties.setProperty("user", user);
      properties.setProperty("password", PASSWORD);
      for (int index = 0; index < changes.length; index += 2) {
        properties.setProperty(changes[index], changes[index + 1]);
      }
      return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/app", properties);
    }

    Connection open(String... changes) throws SQLException {
      Connection connection = connect(changes);
      opened.add(connection);
      return connection;
    }

    /** Does something while another client has the server connection that this one had last. */
    <T> T displaced(Act<T> act) throws Exception {
      if (place.equals("statement")) return act.run();
      List<Connection> others = new ArrayList<>();
      for (int count = 0; count < (place.equals("transaction") ? DISPLACERS : 1); count += 1) {
        Connection other = open();
        others.add(other);
        run(other, "begin");
        one(other, "select 1");
      }
      T value = act.run();
      for (Connection other : others) run(other, "rollback");
      return value;
    }

    String table(Connection connection) throws SQLException {
      run(connection, "create table " + tag + " (n int primary key)");
      return tag;
    }
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] field = line.split("\t");
      Place at = new Place(field[1], Integer.parseInt(field[2]), field[3], field[4], new ArrayList<>());
      String answer;
      try {
        answer = "{\"value\":" + json(behave(field[0], at)) + "}";
      } catch (Exception error) {
        answer = "{\"error\":" + json(codeOf(error)) + "}";
      }
      for (Connection connection : at.opened()) failureOf(() -> { connection.close(); return true; });
      out.println(answer);
    }
  }

  private static Object behave(String name, Place at) throws Exception {
    return switch (name) {
      case "parameters" -> parameters(at);
      case "types" -> types(at);
      case "many parameters" -> manyParameters(at);
      case "large rows" -> largeRows(at);
      case "empty query" -> emptyQuery(at);
      case "several statements" -> results(at.open("preferQueryMode", "simple"), "select 1; select 2");
      case "implicit transaction" -> implicitTransaction(at);
      case "pipeline" -> pipeline(at);
      case "error in a pipeline" -> errorInPipeline(at);
      case "named statements" -> namedStatements(at);
      case "cursor" -> cursor(at);
      case "fetch size" -> fetchSize(at);
      case "cursor with hold" -> cursorWithHold(at);
      case "COPY in" -> copyIn(at);
      case "COPY out" -> copyOut(at);
      case "error in COPY" -> errorInCopy(at);
      case "large objects" -> largeObjects(at);
      case "errors" -> errors(at);
      case "errors in a transaction" -> errorsInTransaction(at);
      case "transactions" -> transactions(at);
      case "savepoints" -> savepoints(at);
      case "cancel" -> cancel(at);
      case "tracked settings" -> trackedSettings(at);
      case "other settings" -> otherSettings(at);
      case "LISTEN" -> listen(at);
      case "temporary table" -> temporaryTable(at);
      case "wrong password" -> wrongPassword(at);
      case "before the restart" -> beforeRestart(at);
      case "after the restart" -> afterRestart(at);
      default -> throw new IllegalArgumentException("no behaviour " + name);
    };
  }

  private static Object parameters(Place at) throws Exception {
    String text = "select ?::text, ?::int, ?::bigint, ?::boolean, ?::text";
    try (PreparedStatement statement = at.open().prepareStatement(text)) {
      statement.setString(1, TEXT);
      statement.setInt(2, 42);
      statement.setLong(3, 9007199254740993L);
      statement.setBoolean(4, true);
      statement.setNull(5, java.sql.Types.VARCHAR);
      ResultSet row = statement.executeQuery();
      row.next();
      String big = String.valueOf(row.getLong(3));
      return Arrays.asList(row.getString(1), row.getInt(2), big, row.getBoolean(4), row.getString(5));
    }
  }

  private static Object types(Place at) throws Exception {
    Connection connection = at.open();
    String text = "select ?::numeric, ?::timestamptz, ?::int[], ?::text[], ?::jsonb->'k'->>1, ?::bytea";
    try (PreparedStatement statement = connection.prepareStatement(text)) {
      statement.setBigDecimal(1, new BigDecimal("12345678901234567890.0123456789"));
      statement.setObject(2, Instant.parse("2026-11-30T12:34:56.789Z").atOffset(ZoneOffset.UTC));
      statement.setArray(3, connection.createArrayOf("int", new Object[] {1, -2, 3}));
      statement.setArray(4, connection.createArrayOf("text", new Object[] {"a", "b\"c", "d,e\\f", null}));
      statement.setString(5, "{\"k\": [1, \"zwei\"]}");
      statement.setBytes(6, new byte[] {0, (byte) 0xff, 0x5c, 0x27, (byte) 0x80});
      ResultSet row = statement.executeQuery();
      row.next();
      String hex = HexFormat.of().formatHex(row.getBytes(6));
      return Arrays.asList(
          row.getBigDecimal(1).toPlainString(),
          row.getObject(2, OffsetDateTime.class).toInstant().toString(),
          Arrays.asList((Object[]) row.getArray(3).getArray()),
          Arrays.asList((Object[]) row.getArray(4).getArray()),
          row.getString(5),
          hex);
    }
  }

  private static Object manyParameters(Place at) throws Exception {
    String marks = "?,".repeat(MANY).substring(0, 2 * MANY - 1);
    String text = "select count(*)::int, sum(n)::int from unnest(array[" + marks + "]::int[]) as n";
    try (PreparedStatement statement = at.open().prepareStatement(text)) {
      for (int index = 0; index < MANY; index += 1) statement.setInt(index + 1, index);
      ResultSet row = statement.executeQuery();
      row.next();
      return List.of(row.getInt(1), row.getInt(2));
    }
  }

  private static Object largeRows(Place at) throws Exception {
    String text = "select ?::text from generate_series(1, 4)";
    try (PreparedStatement statement = at.open().prepareStatement(text)) {
      statement.setString(1, LARGE);
      ResultSet row = statement.executeQuery();
      boolean areEqual = true;
      int length = 0;
      while (row.next()) {
        areEqual = areEqual && row.getString(1).equals(LARGE);
        length += row.getString(1).length();
      }
      return List.of(areEqual, length);
    }
  }

  private static Object emptyQuery(Place at) throws Exception {
    Connection connection = at.open();
    return List.of(run(connection, "") ? "rows" : "empty", one(connection, "select 1"));
  }

  /** All results of a text; by default the driver sends its statements as one pipeline. */
  private static List<Object> results(Connection connection, String text) throws SQLException {
    List<Object> got = new ArrayList<>();
    try (Statement statement = connection.createStatement()) {
      boolean isResult = statement.execute(text);
      while (isResult) {
        ResultSet row = statement.getResultSet();
        row.next();
        got.add(row.getInt(1));
        isResult = statement.getMoreResults();
      }
    }
    return got;
  }

  private static Object implicitTransaction(Place at) throws Exception {
    Connection connection = at.open("preferQueryMode", "simple");
    String table = at.table(connection);
    String code = failureOf(() -> run(connection, "insert into " + table + " values (1); select 1/0"));
    return List.of(code, countOf(connection, table));
  }

  private static Object pipeline(Place at) throws Exception {
    StringBuilder text = new StringBuilder();
    for (int n = 0; n < 20; n += 1) text.append("select ").append(n).append(";");
    List<Object> got = results(at.open(), text.toString());
    int sum = 0;
    boolean isInOrder = got.size() == 20;
    for (int n = 0; n < got.size(); n += 1) {
      sum += (Integer) got.get(n);
      isInOrder = isInOrder && got.get(n).equals(n);
    }
    return List.of(sum, isInOrder);
  }

  private static Object errorInPipeline(Place at) throws Exception {
    Connection connection = at.open();
    String code = failureOf(() -> results(connection, "select 1; select 1/0; select 3"));
    return List.of(code, one(connection, "select 4"));
  }

  private static Object namedStatements(Place at) throws Exception {
    Connection connection = at.open();
    try (PreparedStatement statement = connection.prepareStatement("select ?::int + 1")) {
      int first = twelve(statement, 0);
      String isThere = "select count(*) > 0 from pg_prepared_statements";
      return at.displaced(() -> List.of(first + twelve(statement, 12), one(connection, isThere)));
    }
  }

  private static int twelve(PreparedStatement statement, int first) throws SQLException {
    int sum = 0;
    for (int n = first; n < first + 12; n += 1) {
      statement.setInt(1, n);
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        sum += row.getInt(1);
      }
    }
    return sum;
  }

  private static Object cursor(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "begin");
    run(connection, "declare c cursor for select generate_series(1, 100)");
    List<Object> counts = new ArrayList<>();
    for (String much : List.of("30", "30", "all")) counts.add(column(connection, "fetch " + much + " from c").size());
    run(connection, "close c");
    run(connection, "commit");
    return counts;
  }

  private static Object fetchSize(Place at) throws Exception {
    Connection connection = at.open();
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(100);
      ResultSet row = statement.executeQuery("select n from generate_series(1, 1000) as n");
      int count = 0;
      int sum = 0;
      for (; row.next(); count += 1) sum += row.getInt(1);
      connection.commit();
      return List.of(count, sum);
    }
  }

  private static Object cursorWithHold(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "declare " + at.tag() + " cursor with hold for select generate_series(1, 3)");
    return at.displaced(() -> column(connection, "fetch all from " + at.tag()));
  }

  private static Object copyIn(Place at) throws Exception {
    Connection connection = at.open();
    String table = at.table(connection);
    StringBuilder lines = new StringBuilder();
    for (int n = 1; n <= 1000; n += 1) lines.append(n).append('\n');
    own(connection).getCopyAPI().copyIn("copy " + table + " from stdin", new StringReader(lines.toString()));
    return List.of(countOf(connection, table), one(connection, "select sum(n)::int from " + table));
  }

  private static Object copyOut(Place at) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    long rows = own(at.open()).getCopyAPI().copyOut("copy (select generate_series(1, 1000)) to stdout", out);
    return List.of((int) rows, out.size());
  }

  private static Object errorInCopy(Place at) throws Exception {
    Connection connection = at.open();
    String text = "copy " + at.table(connection) + " from stdin";
    String code = failureOf(() -> own(connection).getCopyAPI().copyIn(text, new StringReader("x\n")));
    return List.of(code, one(connection, "select 1"));
  }

  /** By function calls of the protocol. */
  private static Object largeObjects(Place at) throws Exception {
    Connection connection = at.open();
    connection.setAutoCommit(false);
    byte[] content = "large".repeat(20000).getBytes(StandardCharsets.UTF_8);
    LargeObjectManager manager = own(connection).getLargeObjectAPI();
    long oid = manager.createLO();
    LargeObject made = manager.open(oid, LargeObjectManager.READWRITE);
    made.write(content);
    made.seek(0);
    byte[] got = made.read(content.length + 1);
    made.close();
    connection.commit();
    return List.of(got.length, Arrays.equals(got, content));
  }

  private static Object errors(Place at) throws Exception {
    Connection connection = at.open();
    List<Object> codes = new ArrayList<>();
    for (String text : List.of("select 1/0", "selec", "select * from nowhere", "select 'x'::int")) {
      codes.add(failureOf(() -> run(connection, text)));
    }
    codes.add(one(connection, "select 1"));
    return codes;
  }

  private static Object errorsInTransaction(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "begin");
    String first = failureOf(() -> run(connection, "select 1/0"));
    String second = failureOf(() -> run(connection, "select 1"));
    run(connection, "rollback");
    return List.of(first, second, one(connection, "select 1"));
  }

  private static Object transactions(Place at) throws Exception {
    Connection connection = at.open();
    String table = at.table(connection);
    connection.setAutoCommit(false);
    run(connection, "insert into " + table + " values (1)");
    connection.rollback();
    Object first = countOf(connection, table);
    run(connection, "insert into " + table + " values (1)");
    connection.commit();
    return List.of(first, countOf(connection, table));
  }

  private static Object savepoints(Place at) throws Exception {
    Connection connection = at.open();
    connection.setAutoCommit(false);
    String table = at.table(connection);
    run(connection, "insert into " + table + " values (1)");
    Savepoint savepoint = connection.setSavepoint("one");
    String code = failureOf(() -> run(connection, "insert into " + table + " values (1)"));
    connection.rollback(savepoint);
    run(connection, "insert into " + table + " values (2)");
    connection.commit();
    return List.of(code, countOf(connection, table));
  }

  private static Object cancel(Place at) throws Exception {
    Connection connection = at.open();
    Connection watcher = at.open();
    AtomicReference<String> code = new AtomicReference<>();
    try (Statement statement = connection.createStatement()) {
      String text = "select pg_sleep(60) /* " + at.tag() + " */";
      Thread thread = new Thread(() -> code.set(failureOf(() -> statement.execute(text))));
      thread.start();
      String running = "select 1 from pg_stat_activity where state = 'active' and query like 'select pg_sleep%" + at.tag() + "%'";
      until(() -> column(watcher, running).isEmpty() ? null : true);
      statement.cancel();
      thread.join(DEADLINE_MS);
    }
    return List.of(code.get(), one(connection, "select 1"));
  }

  private static Object trackedSettings(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "set application_name = 'drivers'");
    run(connection, "set timezone = 'Asia/Tokyo'");
    run(connection, "set intervalstyle = sql_standard");
    String text = "select current_setting(name) from unnest(array['application_name', 'timezone', 'intervalstyle']) as name";
    return at.displaced(() -> column(connection, text));
  }

  private static Object otherSettings(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "set statement_timeout = '77s'");
    return at.displaced(() -> one(connection, "select current_setting('statement_timeout')"));
  }

  private static Object listen(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "listen " + at.tag());
    Connection teller = at.open();
    at.displaced(() -> run(teller, "notify " + at.tag() + ", 'hello'"));
    if (at.place().equals("transaction")) {
      run(connection, "select 1");
      return heard(connection);
    }
    return until(() -> heard(connection));
  }

  private static String heard(Connection connection) throws SQLException {
    PGNotification[] got = own(connection).getNotifications(10);
    return got == null || got.length == 0 ? null : got[0].getParameter();
  }

  private static Object temporaryTable(Place at) throws Exception {
    Connection connection = at.open();
    run(connection, "create temporary table " + at.tag() + " as select 1 as v");
    return at.displaced(() -> one(connection, "select v from " + at.tag()));
  }

  private static Object wrongPassword(Place at) throws Exception {
    String code = failureOf(() -> at.open("password", "wrong"));
    return List.of(code, one(at.open(), "select current_database()"));
  }

  private static Object beforeRestart(Place at) throws Exception {
    KEPT.put(at.tag(), at.connect());
    run(KEPT.get(at.tag()), "set application_name = 'kept'");
    return true;
  }

  private static Object afterRestart(Place at) throws Exception {
    Connection connection = KEPT.get(at.tag());
    at.opened().add(connection);
    String text = "select current_setting('application_name')";
    boolean isKept = failureOf(() -> one(connection, text)).equals("it worked") && one(connection, text).equals("kept");
    return List.of(isKept ? "kept" : "lost", one(at.open(), "select 1"));
  }

  private static PGConnection own(Connection connection) throws SQLException {
    return connection.unwrap(PGConnection.class);
  }

  private static boolean run(Connection connection, String text) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      return statement.execute(text);
    }
  }

  private static List<Object> column(Connection connection, String text) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      ResultSet row = statement.executeQuery(text);
      List<Object> got = new ArrayList<>();
      while (row.next()) got.add(row.getObject(1));
      return got;
    }
  }

  private static Object one(Connection connection, String text) throws SQLException {
    return column(connection, text).get(0);
  }

  private static Object countOf(Connection connection, String table) throws SQLException {
    return one(connection, "select count(*)::int from " + table);
  }

  private static <T> T until(Act<T> look) throws Exception {
    long from = System.nanoTime();
    while (System.nanoTime() - from < DEADLINE_MS * 1_000_000) {
      T value = look.run();
      if (value != null) return value;
      Thread.sleep(10);
    }
    throw new IllegalStateException("not within " + DEADLINE_MS + " ms");
  }

  private static String failureOf(Act<?> act) {
    try {
      act.run();
      return "it worked";
    } catch (Exception error) {
      return codeOf(error);
    }
  }

  private static String codeOf(Exception error) {
    if (!(error instanceof SQLException fault) || fault.getSQLState() == null) return error.toString();
    return fault.getSQLState().startsWith("080") ? "CLOSED" : fault.getSQLState();
  }

  private static String json(Object value) {
    if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
    if (value instanceof List<?> list) {
      List<String> parts = new ArrayList<>();
      for (Object each : list) parts.add(json(each));
      return "[" + String.join(",", parts) + "]";
    }
    StringBuilder text = new StringBuilder("\"");
    for (char each : value.toString().toCharArray()) {
      if (each == '"' || each == '\\') text.append('\\').append(each);
      else if (each < ' ') text.append(String.format("\\u%04x", (int) each));
      else text.append(each);
    }
    return text.append('"').toString();
  }
}
