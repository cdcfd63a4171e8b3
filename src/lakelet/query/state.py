"""What the query room keeps: executions, workgroups, named queries, prepared statements."""

STATE_SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
    id TEXT PRIMARY KEY, workgroup TEXT NOT NULL, submitted_at REAL NOT NULL,
    state TEXT NOT NULL, token TEXT, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS executions_by_time ON executions (workgroup, submitted_at);
CREATE UNIQUE INDEX IF NOT EXISTS executions_by_token ON executions (token)
    WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS reusable (
    digest TEXT NOT NULL, finished_at REAL NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (digest, finished_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workgroups (
    name TEXT PRIMARY KEY, created_at REAL NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named_queries (
    id TEXT PRIMARY KEY, workgroup TEXT NOT NULL, token TEXT UNIQUE, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prepared (
    workgroup TEXT NOT NULL, name TEXT NOT NULL, modified_at REAL NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (workgroup, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)
) WITHOUT ROWID;
"""
