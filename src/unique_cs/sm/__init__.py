"""National cryptography, for server and client: SM2 (GB/T 32918), SM3 (32905), SM4-GCM (32907, RFC 8998)."""
