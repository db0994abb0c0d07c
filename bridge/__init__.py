"""The gRPC front: speaks STARWEAVE's protocol and has Triton make the pictures."""
