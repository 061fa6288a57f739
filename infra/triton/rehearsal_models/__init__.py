"""What runs inside Triton's Python stubs: the wire of each served model. Imported there alone (numpy 1.x, triton_python_backend_utils)."""
