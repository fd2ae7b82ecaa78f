"""Games as tables: every state, joint action and what may follow, made by running the very rules."""
