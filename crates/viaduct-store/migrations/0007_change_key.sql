-- As 0006 in SQLite: nobody looks for a change but by its subject, so one index is enough.
ALTER TABLE change DROP CONSTRAINT change_pkey;
DROP INDEX change_by_subject;
ALTER TABLE change ADD PRIMARY KEY (workspace_id, subject, id);
