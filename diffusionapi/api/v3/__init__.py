"""The v3 dialect: keys travel in the body, errors have status 200, answers come at once or are fetched."""
