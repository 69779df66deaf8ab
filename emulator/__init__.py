"""A local Alibaba Cloud that the official SDKs talk to, unchanged. It speaks the cloud's language and knows nothing of
Understudy: nothing here may import `shared`, `functions` or `understudy`.
"""
