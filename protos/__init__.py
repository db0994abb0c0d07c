"""STARWEAVE's gRPC contract; the modules beside `starweave.proto` are generated from it by `make proto`."""
