"""Generated protobuf code (`./dev proto`). Never edited."""
