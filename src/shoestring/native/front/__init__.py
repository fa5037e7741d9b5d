def read_program(model, name): raise NotImplementedError
