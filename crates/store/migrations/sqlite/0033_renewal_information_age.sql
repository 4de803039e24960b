-- How old the CA's renewal information about each served certificate is.

-- When the CA last answered a poll with a window; NULL while it names none, and for polls of versions without this column.
ALTER TABLE renewal_questions ADD COLUMN answered_at INTEGER;
