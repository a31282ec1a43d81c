"""psycopg2: libpq, values written into the text on the client's side, large objects by function calls."""

import io

import psycopg2
import psycopg2.extras

import dbapi


class Driver:
    connect = staticmethod(psycopg2.connect)
    jsonb = staticmethod(psycopg2.extras.Json)

    @staticmethod
    def copy_in(connection, text, content):
        connection.cursor().copy_expert(text, io.StringIO(content))

    @staticmethod
    def copy_out(connection, text):
        out = io.StringIO()
        connection.cursor().copy_expert(text, out)
        return out.getvalue()

    @staticmethod
    def heard(connection):
        connection.poll()
        return [each.payload for each in connection.notifies]


def empty_query(at):
    connection = at.open()
    try:
        dbapi.run(connection, ";")
        said = "rows"
    except psycopg2.ProgrammingError as error:
        # Its word for EmptyQueryResponse.
        said = "empty" if "empty query" in str(error) else repr(error)
    return [said, dbapi.one(connection, "select 1")]


def large_objects(at):
    connection = at.open()
    connection.autocommit = False
    content = b"large" * 20000
    made = connection.lobject(0, "wb")
    made.write(content)
    made.close()
    got = connection.lobject(made.oid, "rb").read()
    connection.commit()
    return [len(got), got == content]


dbapi.serve(Driver, {"empty query": empty_query, "large objects": large_objects})
