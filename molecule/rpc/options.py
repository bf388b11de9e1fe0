"""Settings of the library that all our servers and channels share.

Sizes come from `config.Limits`; the keep-alive here finds dead peers of quiet channels. Links of
Raft have signs of life of their own, much faster.
"""

from typing import Final

from molecule.config import Limits

_KEEPALIVE_MS: Final = 15_000
_KEEPALIVE_ANSWER_MS: Final = 5_000
_RECONNECT_MIN_MS: Final = 50
_RECONNECT_MAX_MS: Final = 1_000

Options = list[tuple[str, int | str]]


def _shared(limits: Limits) -> Options:
    return [
        ("grpc.max_receive_message_length", limits.rpc_message_bytes_max),
        ("grpc.max_send_message_length", limits.rpc_message_bytes_max),
        ("grpc.max_metadata_size", limits.rpc_metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", limits.rpc_metadata_bytes_max),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def server(limits: Limits) -> Options:
    """For servers: one owner of the port, and clients may ping as often as ours do."""
    return [
        *_shared(limits),
        # With it two nodes started on one port would share the calls instead of one being refused.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
        ("grpc.max_concurrent_streams", limits.rpc_calls_max),
    ]


def channel(limits: Limits) -> Options:
    """For channels: reconnect soon, never through a proxy, never repeat a call by itself."""
    return [
        *_shared(limits),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MIN_MS),
        ("grpc.min_reconnect_backoff_ms", _RECONNECT_MAX_MS),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MAX_MS),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        # Else two channels to one address share a connection, and closing one does not end it.
        ("grpc.use_local_subchannel_pool", 1),
    ]
