"""Signing in by an OpenID Connect provider: settings, claims and keys (pure), the provider (asks over HTTPS)."""
