"""What psycopg2 and psycopg3 have in common: the line protocol of a driver's program, and the behaviours that are PEP 249."""

import datetime
import decimal
import json
import os
import re
import sys
import threading
import time

HOST = "127.0.0.1"
DATABASE = "app"
PASSWORD = os.environ.get("DRIVERS_PASSWORD", "")
TEXT = "Grüße 'quoted' \\ \"€\" 😀"
NUMERIC = decimal.Decimal("12345678901234567890.0123456789")
INSTANT = datetime.datetime(2026, 11, 30, 12, 34, 56, 789000, datetime.timezone.utc)
TEXTS = ["a", 'b"c', "d,e\\f", None]
BYTES = bytes.fromhex("00ff5c2780")
MANY = 32767
LARGE = ("pg-metako " * 104858)[:1048576]
DEADLINE_S = 10
# A router of several workers shares clients evenly, so that among so many one is with every worker.
DISPLACERS = 8
UNCODED = {"password authentication failed": "28P01", "in a read-only transaction": "25006"}
CLOSED = re.compile("closed|terminat|lost|server sent an error|EOF detected")


def code_of(error):
    """A SQLSTATE. Neither driver has one for what was said before a session began or behind its end, nor libpq for function calls."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state:
        return state
    text = str(error)
    for words, code in UNCODED.items():
        if words in text:
            return code
    return "CLOSED" if CLOSED.search(text) else repr(error)


def failure_of(act):
    try:
        act()
    except Exception as error:
        return code_of(error)
    return "it worked"


def until(look):
    giving_up = time.monotonic() + DEADLINE_S
    while time.monotonic() < giving_up:
        value = look()
        if value:
            return value
        time.sleep(0.01)
    raise RuntimeError("not within %s s" % DEADLINE_S)


class Place:
    def __init__(self, driver, fields):
        self.driver = driver
        self.place, port, self.user, self.tag = fields
        self.port = int(port)
        self.opened = []

    def connect(self, **changes):
        arguments = dict(host=HOST, port=self.port, user=self.user, password=PASSWORD, dbname=DATABASE)
        arguments.update(changes)
        connection = self.driver.connect(**arguments)
        connection.autocommit = True
        return connection

    def open(self, **changes):
        connection = self.connect(**changes)
        self.opened.append(connection)
        return connection

    def close_all(self):
        for connection in self.opened:
            try:
                connection.close()
            except Exception:
                pass

    def displaced(self, act):
        """Does something while another client has the server connection that this one had last."""
        if self.place == "statement":
            return act()
        others = [self.open() for _ in range(DISPLACERS if self.place == "transaction" else 1)]
        for other in others:
            run(other, "begin")
            run(other, "select 1")
        value = act()
        for other in others:
            run(other, "rollback")
        return value

    def table(self, connection):
        run(connection, "create table %s (n int primary key)" % self.tag)
        return self.tag


def run(connection, text, values=None):
    cursor = connection.cursor()
    cursor.execute(text, values)
    return cursor


def one(connection, text, values=None):
    return run(connection, text, values).fetchone()[0]


def count_of(connection, table):
    return one(connection, "select count(*)::int from %s" % table)


def lines(count):
    return "".join("%d\n" % (n + 1) for n in range(count))


def parameters(at):
    text = "select %s::text, %s::int, %s::bigint::text, %s::boolean, %s::text"
    return list(run(at.open(), text, (TEXT, 42, 9007199254740993, True, None)).fetchone())


def types(at):
    text = "select %s::numeric, %s::timestamptz, %s::int[], %s::text[], %s::jsonb, %s::bytea"
    values = (NUMERIC, INSTANT, [1, -2, 3], TEXTS, at.driver.jsonb({"k": [1, "zwei"]}), BYTES)
    row = run(at.open(), text, values).fetchone()
    instant = row[1].astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
    return [str(row[0]), instant.replace("+00:00", "Z"), row[2], row[3], row[4]["k"][1], bytes(row[5]).hex()]


def many_parameters(at):
    marks = ",".join(["%s"] * MANY)
    text = "select count(*)::int, sum(n)::int from unnest(array[%s]::int[]) as n" % marks
    return list(run(at.open(), text, list(range(MANY))).fetchone())


def large_rows(at):
    rows = run(at.open(), "select %s::text from generate_series(1, 4)", (LARGE,)).fetchall()
    return [all(row[0] == LARGE for row in rows), sum(len(row[0]) for row in rows)]


def implicit_transaction(at):
    connection = at.open()
    table = at.table(connection)
    code = failure_of(lambda: run(connection, "insert into %s values (1); select 1/0" % table))
    return [code, count_of(connection, table)]


def cursor(at):
    connection = at.open()
    run(connection, "begin")
    run(connection, "declare c cursor for select generate_series(1, 100)")
    counts = [len(run(connection, "fetch %s from c" % much).fetchall()) for much in ("30", "30", "all")]
    run(connection, "close c")
    run(connection, "commit")
    return counts


def fetch_size(at):
    connection = at.open()
    connection.autocommit = False
    named = connection.cursor(name="c")
    named.itersize = 100
    named.execute("select n from generate_series(1, 1000) as n")
    rows = [row[0] for row in named]
    connection.commit()
    return [len(rows), sum(rows)]


def cursor_with_hold(at):
    connection = at.open()
    run(connection, "declare %s cursor with hold for select generate_series(1, 3)" % at.tag)
    return at.displaced(lambda: [row[0] for row in run(connection, "fetch all from %s" % at.tag).fetchall()])


def copy_in(at):
    connection = at.open()
    table = at.table(connection)
    at.driver.copy_in(connection, "copy %s from stdin" % table, lines(1000))
    return list(run(connection, "select count(*)::int, sum(n)::int from %s" % table).fetchone())


def copy_out(at):
    text = at.driver.copy_out(at.open(), "copy (select generate_series(1, 1000)) to stdout")
    return [text.count("\n"), len(text)]


def error_in_copy(at):
    connection = at.open()
    table = at.table(connection)
    code = failure_of(lambda: at.driver.copy_in(connection, "copy %s from stdin" % table, "x\n"))
    return [code, one(connection, "select 1")]


def errors(at):
    connection = at.open()
    texts = ("select 1/0", "selec", "select * from nowhere", "select 'x'::int")
    return [failure_of(lambda: run(connection, text)) for text in texts] + [one(connection, "select 1")]


def errors_in_a_transaction(at):
    connection = at.open()
    run(connection, "begin")
    codes = [failure_of(lambda: run(connection, text)) for text in ("select 1/0", "select 1")]
    run(connection, "rollback")
    return codes + [one(connection, "select 1")]


def transactions(at):
    connection = at.open()
    table = at.table(connection)
    connection.autocommit = False
    counts = []
    for end in (connection.rollback, connection.commit):
        run(connection, "insert into %s values (%%s)" % table, (1,))
        end()
        counts.append(count_of(connection, table))
        connection.rollback()
    return counts


def savepoints(at):
    connection = at.open()
    connection.autocommit = False
    table = at.table(connection)
    run(connection, "insert into %s values (1)" % table)
    run(connection, "savepoint one")
    code = failure_of(lambda: run(connection, "insert into %s values (1)" % table))
    run(connection, "rollback to savepoint one")
    run(connection, "insert into %s values (2)" % table)
    connection.commit()
    return [code, count_of(connection, table)]


def cancel(at):
    connection = at.open()
    watcher = at.open()
    codes = []
    text = "select pg_sleep(60) /* %s */" % at.tag
    thread = threading.Thread(target=lambda: codes.append(failure_of(lambda: run(connection, text))))
    thread.start()
    running = "select 1 from pg_stat_activity where query like %s and state = 'active'"
    until(lambda: run(watcher, running, ("select pg_sleep%" + at.tag + "%",)).fetchone())
    connection.cancel()
    thread.join(DEADLINE_S)
    return codes + [one(connection, "select 1")]


def tracked_settings(at):
    connection = at.open()
    run(connection, "set application_name = 'drivers'")
    run(connection, "set timezone = 'Asia/Tokyo'")
    run(connection, "set intervalstyle = sql_standard")
    names = ("application_name", "timezone", "intervalstyle")
    return at.displaced(lambda: [one(connection, "select current_setting(%s)", (name,)) for name in names])


def other_settings(at):
    connection = at.open()
    run(connection, "set statement_timeout = '77s'")
    return at.displaced(lambda: one(connection, "select current_setting('statement_timeout')"))


def listen(at):
    connection = at.open()
    run(connection, "listen %s" % at.tag)
    teller = at.open()
    at.displaced(lambda: run(teller, "notify %s, 'hello'" % at.tag))
    if at.place == "transaction":
        run(connection, "select 1")
        return next(iter(at.driver.heard(connection)), None)
    return until(lambda: next(iter(at.driver.heard(connection)), None))


def temporary_table(at):
    connection = at.open()
    run(connection, "create temporary table %s as select 1 as v" % at.tag)
    return at.displaced(lambda: one(connection, "select v from %s" % at.tag))


def wrong_password(at):
    code = failure_of(lambda: at.open(password="wrong"))
    return [code, one(at.open(), "select current_database()")]


KEPT = {}


def before_the_restart(at):
    KEPT[at.tag] = at.connect()
    run(KEPT[at.tag], "set application_name = 'kept'")
    return True


def after_the_restart(at):
    connection = KEPT[at.tag]
    at.opened.append(connection)
    try:
        is_kept = one(connection, "select current_setting('application_name')") == "kept"
    except Exception:
        is_kept = False
    return ["kept" if is_kept else "lost", one(at.open(), "select 1")]


BEHAVIOURS = {
    "parameters": parameters,
    "types": types,
    "many parameters": many_parameters,
    "large rows": large_rows,
    "implicit transaction": implicit_transaction,
    "cursor": cursor,
    "fetch size": fetch_size,
    "cursor with hold": cursor_with_hold,
    "COPY in": copy_in,
    "COPY out": copy_out,
    "error in COPY": error_in_copy,
    "errors": errors,
    "errors in a transaction": errors_in_a_transaction,
    "transactions": transactions,
    "savepoints": savepoints,
    "cancel": cancel,
    "tracked settings": tracked_settings,
    "other settings": other_settings,
    "LISTEN": listen,
    "temporary table": temporary_table,
    "wrong password": wrong_password,
    "before the restart": before_the_restart,
    "after the restart": after_the_restart,
}


def serve(driver, own):
    """Fields with tabs between in, a line of JSON out."""
    behaviours = dict(BEHAVIOURS, **own)
    for line in sys.stdin:
        name, *fields = line.rstrip("\n").split("\t")
        at = Place(driver, fields)
        try:
            answer = {"value": behaviours[name](at)}
        except Exception as error:
            answer = {"error": code_of(error)}
        at.close_all()
        print(json.dumps(answer), flush=True)
