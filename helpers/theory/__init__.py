"""The theory behind the measurements: laws, scaling, queues, and a simulation of workers behind one socket."""
