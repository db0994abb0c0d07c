"""A long mixed load on one supervised server: does it keep answering, as fast, in as much memory?"""
