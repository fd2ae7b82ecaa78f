from slow_solver import x
def test(): assert x==1
