"""What becomes of a prompt on its way to the tokenizer: styles, qualities, templates and what the conversation adds."""
