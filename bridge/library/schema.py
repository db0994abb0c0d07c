"""The tables of the library, as the newest migration leaves them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the type is exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

# `refs` counts the images that have these bytes. A blob without any is deleted from the store, then from here.
blobs = Table(
    "blobs",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("refs", BigInteger, nullable=False),
    Index("blobs_unreferenced", "hash", sqlite_where=text("refs = 0"), postgresql_where=text("refs = 0")),
)

# `vector` is the embedding of a prompt, float32 in little-endian order and of length 1; `embedded_at` is when it was
# computed, Unix time in milliseconds. Both are NULL until then.
prompts = Table(
    "prompts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("space", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("vector", LargeBinary, nullable=True),
    Column("embedded_at", BigInteger, nullable=True),
    UniqueConstraint("space", "hash", name="prompts_space_hash"),
    Index("prompts_embedded", "space", "embedded_at"),
    # A number once given away is not given again: the index in memory knows vectors by their numbers.
    sqlite_autoincrement=True,
)

# `words` is what a search looks into: the words of both prompts, one space between them. SQLite keeps an FTS5 table
# `image_words` of it, PostgreSQL a column `word_vector`; the first migration makes both.
images = Table(
    "images",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("space", String(64), nullable=False),
    Column("capability", Text, nullable=False),
    Column("prompt_given", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("negative_prompt", Text, nullable=False),
    Column("style", Text, nullable=False),
    Column("quality", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("experiment", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("generation_ms", BigInteger, nullable=False),
    Column("repeat_key", String(64), nullable=False),
    Column("repeat_of", String(80), nullable=False),
    Column("blob", String(64), ForeignKey("blobs.hash"), nullable=False),
    Column("format", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("debug_info", JSON, nullable=False),
    Column("request", JSON, nullable=False),
    Column("words", Text, nullable=False),
    Column("prompt_number", Number, ForeignKey("prompts.number"), nullable=False),
    Column("rating", SmallInteger, nullable=True),
    Column("comment", Text, nullable=True),
    Column("rated_at", BigInteger, nullable=True),
    Index("images_created", "created_at"),
    Index("images_user", "user_id", "number"),
    Index("images_family", "family", "number"),
    Index("images_style", "style", "number"),
    Index("images_template", "template", "number"),
    Index("images_experiment", "experiment", "number"),
    Index("images_rating", "rating", "number"),
    Index("images_repeat", "repeat_key", "number"),
    Index("images_blob", "blob"),
    Index("images_prompt", "prompt_number", "number"),
    sqlite_autoincrement=True,
)

# Pictures before `reset_at`, Unix time in milliseconds, say nothing of what a user prefers.
preference_resets = Table(
    "preference_resets",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("reset_at", BigInteger, nullable=False),
)
