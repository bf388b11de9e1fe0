"""The idempotency key that a listener's `dedup` gives."""

from molecule.node.listeners import own_key


def test_values_that_no_key_can_hold_give_keys_of_their_own() -> None:
    begin = "x" * 300
    values = ["42", "A 1", "ä", f"{begin}1", f"{begin}2"]
    keys = [own_key("dev", "orders", value) for value in values]
    assert keys[0] == "dev/orders/42"
    assert len(set(keys)) == len(values), "two requests never share a key by chance"
    assert all(len(key) <= 200 and key.isascii() and " " not in key for key in keys)
    assert keys == [own_key("dev", "orders", value) for value in values]
