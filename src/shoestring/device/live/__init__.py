"""Source, pipeline, engine, sensors and governor as one running thing."""
