-- How the suspect looks: colours of the clothes, height in the frame, what is carried, notes; see model::Characteristics.
ALTER TABLE suspects ADD COLUMN characteristics JSONB NOT NULL DEFAULT '{}';
