"""What a conversation adds to a prompt that refers to it; English, and by rules whose every step can be inspected."""
