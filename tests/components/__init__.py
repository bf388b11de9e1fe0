"""Components against real local servers, folders and databases."""
