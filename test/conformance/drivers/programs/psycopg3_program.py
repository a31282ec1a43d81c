"""psycopg3: libpq, values on the server's side, prepares what it runs often, pipelines."""

import psycopg
from psycopg.types.json import Jsonb

import dbapi


class Driver:
    connect = staticmethod(psycopg.connect)
    jsonb = staticmethod(Jsonb)

    @staticmethod
    def copy_in(connection, text, content):
        with connection.cursor().copy(text) as copy:
            copy.write(content)

    @staticmethod
    def copy_out(connection, text):
        with connection.cursor().copy(text) as copy:
            return b"".join(bytes(piece) for piece in copy).decode()

    @staticmethod
    def heard(connection):
        connection.pgconn.consume_input()
        note = connection.pgconn.notifies()
        return [] if note is None else [note.extra.decode()]


def empty_query(at):
    connection = at.open()
    cursor = dbapi.run(connection, "")
    return ["empty" if cursor.description is None else "rows", dbapi.one(connection, "select 1")]


def several_statements(at):
    cursor = dbapi.run(at.open(), "select 1; select 2")
    got = [cursor.fetchone()[0]]
    while cursor.nextset():
        got.append(cursor.fetchone()[0])
    return got


def pipeline(at):
    connection = at.open()
    with connection.pipeline():
        cursors = [dbapi.run(connection, "select %s::int", (n,)) for n in range(20)]
    got = [cursor.fetchone()[0] for cursor in cursors]
    return [sum(got), got == list(range(20))]


def error_in_a_pipeline(at):
    connection = at.open()

    def act():
        with connection.pipeline():
            dbapi.run(connection, "select 1")
            dbapi.run(connection, "select 1/%s::int", (0,))
            dbapi.run(connection, "select 3")

    return [dbapi.failure_of(act), dbapi.one(connection, "select 4")]


def named_statements(at):
    connection = at.open()

    def twelve(first):
        return sum(dbapi.one(connection, "select %s::int + 1", (n,)) for n in range(first, first + 12))

    first = twelve(0)
    is_there = "select count(*) > 0 from pg_prepared_statements"
    return at.displaced(lambda: [first + twelve(12), dbapi.one(connection, is_there)])


def large_objects(at):
    connection = at.open()
    content = b"large" * 20000
    with connection.transaction():
        oid = dbapi.one(connection, "select lo_from_bytea(0, %s)", (content,))
        got = dbapi.one(connection, "select lo_get(%s)", (oid,))
    return [len(got), got == content]


dbapi.serve(
    Driver,
    {
        "empty query": empty_query,
        "several statements": several_statements,
        "pipeline": pipeline,
        "error in a pipeline": error_in_a_pipeline,
        "named statements": named_statements,
        "large objects": large_objects,
    },
)
