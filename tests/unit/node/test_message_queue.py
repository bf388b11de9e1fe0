"""Messages that wait leave together, in order, and none after the end."""

import asyncio

from molecule.config import Limits
from molecule.rpc.message_queue import MessageQueue
from molecule.wire.v1 import worker_pb2 as w


def a_message(number: int, size_bytes: int = 0) -> w.FromWorker:
    put = w.DocumentPut(content=bytes(size_bytes))
    return w.FromWorker(number=number, document_put=put)


def a_queue(*messages: w.FromWorker, **limits: int) -> MessageQueue[w.FromWorker]:
    queue: MessageQueue[w.FromWorker] = MessageQueue(Limits(**limits))
    for message in messages:
        queue.put(message)
    return queue


def numbers(messages: list[w.FromWorker]) -> list[int]:
    return [message.number for message in messages]


async def test_what_waits_leaves_together_and_in_order() -> None:
    queue = a_queue(*[a_message(number) for number in range(5)])
    assert numbers(await queue.take()) == [0, 1, 2, 3, 4]
    assert len(queue) == 0


async def test_a_batch_has_a_size_and_a_large_message_leaves_alone() -> None:
    large = [a_message(number, 600) for number in range(3)]
    queue = a_queue(*large, a_message(3, 5_000), link_batch_bytes_max=1_500)
    assert [numbers(await queue.take()) for _ in range(3)] == [[0, 1], [2], [3]]


async def test_who_takes_waits_for_the_first_message() -> None:
    queue = a_queue()
    taking = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.put(a_message(7))
    assert numbers(await taking) == [7]


async def test_what_was_put_before_the_end_still_leaves_and_nothing_after_it() -> None:
    queue = a_queue(a_message(1))
    queue.end()
    queue.put(a_message(2))
    assert [numbers(await queue.take()) for _ in range(2)] == [[1], []]
