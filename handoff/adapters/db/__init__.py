"""The desk's database: SQLModel tables, one store for SQLite and PostgreSQL, and its migrations."""
