"""The recipe of the demo checkpoint: captioned scenes, and the training of tokenizer, VAE, text encoder and UNet."""
