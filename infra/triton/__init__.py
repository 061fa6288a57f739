"""The embedded Triton server: the genuine tritonserver of nvidia-pytriton, serving the rehearsal models on loopback."""
