"""One module per version of the schema, named by its number."""
