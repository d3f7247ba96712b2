-- +goose Up
-- When the first record of a source came. What a feed brings in its first hours is
-- its first load, in however many files, and no news.
ALTER TABLE sources ADD COLUMN first INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE sources DROP COLUMN first;
