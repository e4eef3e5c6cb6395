"""The edge to the network: sockets and interfaces."""
