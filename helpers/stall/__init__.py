"""Coordinated omission, shown: the same stall of a server in a closed and in an open load test."""
