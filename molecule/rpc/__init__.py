"""gRPC between nodes over mutual TLS 1.3, and on one machine over a unix socket.

Layer 4. The only package that imports grpc; may import `model`, `config` and `wire`. It knows who
speaks and carries bytes and messages; what they mean is the node's business. Start with `server.py`
and `channel.py`; links of Raft are in `raft_link.py`.
"""

import os

# The library has no setting for the oldest version of TLS. This one suite exists in no TLS 1.2
# server of ours, so every 1.2 handshake fails, while the suites of 1.3 are not affected. The
# library reads it once, at its first use, so it is set before any module of this package runs;
# `tls.probe` checks the effect on the running server.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-CHACHA20-POLY1305"
# The library prints refused handshakes by itself; ours are reported as errors and events.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
