-- How far the camera's own clock was ahead of the console's, microseconds; NULL where the camera did not tell.
ALTER TABLE segments ADD COLUMN clock_offset BIGINT;
