"""RLlib: its algorithms, learners and runners over arrays. The only room of learning that knows Ray."""
