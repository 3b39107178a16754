"""Small tools without a domain word: clock, ids, paging, hashing, errors, clients."""
