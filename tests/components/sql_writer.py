"""One of several processes that upsert the same rows under the same keys."""

import asyncio
import sys

from tests.components.calls import a_call, a_client, a_context, a_document, a_step

CONFIG = """
    type: sql.upsert
    connection: w
    table: late
    match: [flight]
    exactly_once: true
"""


async def main(path: str, rows: int) -> None:
    """Write each row once, again when the database says it is locked."""
    client = a_client("sql", f'{{url: "sqlite:///{path}", busy_timeout: 20s}}')
    await client.open()
    operation = a_step(CONFIG).component
    for number in range(rows):
        document = a_document({"flight": f"F{number}", "minutes": number})
        request = operation.prepare(document, a_context())
        await operation.perform(client, request, a_call(f"e{number}/store/0", timeout_s=30))
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
