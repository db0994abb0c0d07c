"""The library's first tables, and what each database searches words with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The words lie in `images` alone; FTS5 keeps its index of them, and triggers keep the two together.
_SQLITE_WORDS = (
    """CREATE VIRTUAL TABLE image_words USING fts5(
        words, content='images', content_rowid='number', tokenize='unicode61 remove_diacritics 0', prefix='2 3'
    )""",
    """CREATE TRIGGER images_added AFTER INSERT ON images BEGIN
        INSERT INTO image_words (rowid, words) VALUES (new.number, new.words);
    END""",
    """CREATE TRIGGER images_deleted AFTER DELETE ON images BEGIN
        INSERT INTO image_words (image_words, rowid, words) VALUES ('delete', old.number, old.words);
    END""",
)
# The words as they are: PostgreSQL's own parser takes other things for words than SQLite's.
_POSTGRESQL_WORDS = (
    """ALTER TABLE images ADD COLUMN word_vector tsvector
        GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED""",
    "CREATE INDEX images_word_vector ON images USING gin (word_vector)",
)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "blobs",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("refs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(
        "blobs_unreferenced",
        "blobs",
        ["hash"],
        unique=False,
        sqlite_where=sa.text("refs = 0"),
        postgresql_where=sa.text("refs = 0"),
    )
    op.create_table(
        "prompts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("space", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.Column("embedded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("space", "hash", name="prompts_space_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("prompts_embedded", "prompts", ["space", "embedded_at"], unique=False)
    op.create_table(
        "images",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("requested_model", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("space", sa.String(length=64), nullable=False),
        sa.Column("capability", sa.Text(), nullable=False),
        sa.Column("prompt_given", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column("style", sa.Text(), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("generation_ms", sa.BigInteger(), nullable=False),
        sa.Column("repeat_key", sa.String(length=64), nullable=False),
        sa.Column("repeat_of", sa.String(length=80), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("debug_info", sa.JSON(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("prompt_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rating", sa.SmallInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("rated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["blob"],
            ["blobs.hash"],
        ),
        sa.ForeignKeyConstraint(
            ["prompt_number"],
            ["prompts.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("images_blob", "images", ["blob"], unique=False)
    op.create_index("images_created", "images", ["created_at"], unique=False)
    op.create_index("images_experiment", "images", ["experiment", "number"], unique=False)
    op.create_index("images_family", "images", ["family", "number"], unique=False)
    op.create_index("images_prompt", "images", ["prompt_number", "number"], unique=False)
    op.create_index("images_rating", "images", ["rating", "number"], unique=False)
    op.create_index("images_repeat", "images", ["repeat_key", "number"], unique=False)
    op.create_index("images_style", "images", ["style", "number"], unique=False)
    op.create_index("images_template", "images", ["template", "number"], unique=False)
    op.create_index("images_user", "images", ["user_id", "number"], unique=False)
    words = _SQLITE_WORDS if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL_WORDS
    for statement in words:
        op.execute(statement)


def downgrade() -> None:
    """Drops all of it, pictures included."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE image_words")
    for table in ("images", "prompts", "blobs"):
        op.drop_table(table)
