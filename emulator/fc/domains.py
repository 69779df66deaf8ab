"""Domains of one's own: the fc3-domain resources of an s.yaml.

A trigger's default address makes browsers store every page instead of showing it; at a domain of one's own the page is
what the function says. Source: Function Compute documentation, custom domain names (2.0 and 3.0), 2024.

Not modelled: TLS (a domain with HTTPS is served without), authentication, rewriting and CORS of the domain itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

PROPS: Final = {"region", "domainName", "protocol", "routeConfig"}
ROUTE: Final = {"path", "functionName", "methods", "qualifier"}
PROTOCOLS: Final = ("HTTP", "HTTPS", "HTTP,HTTPS")


class DomainError(ValueError):
    """The domain cannot be served; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    path: str  # exact, or everything below when it ends with an asterisk
    function: str
    methods: tuple[str, ...] = ()  # none named: all

    def leads(self, path: str) -> bool:
        return path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    name: str
    region: str
    routes: tuple[Route, ...]

    def route(self, path: str) -> Route | None:
        """An exact one before a pattern, a longer pattern before a shorter one."""
        fitting = [route for route in self.routes if route.leads(path)]
        return max(fitting, key=lambda route: (not route.path.endswith("*"), len(route.path)), default=None)


def parse(props: Mapping[str, Any], functions: Iterable[str]) -> Domain:
    """Raises DomainError. `functions`: those that exist, by name."""
    _only(props, PROPS)
    name, region = props.get("domainName"), props.get("region")
    if not isinstance(name, str) or "." not in name:
        raise DomainError(f"domainName: want a name such as www.example.com, found {name!r} ('auto' is not modelled)")
    if not isinstance(region, str):
        raise DomainError(f"region: want a string, found {region!r}")
    if props.get("protocol", "HTTP") not in PROTOCOLS:
        raise DomainError(f"protocol: want one of {', '.join(PROTOCOLS)}")
    routes = (props.get("routeConfig") or {}).get("routes")
    if not isinstance(routes, list) or not routes:
        raise DomainError("routeConfig.routes: want a list of path and functionName")
    return Domain(name=name, region=region, routes=tuple(_route(route, set(functions)) for route in routes))


def _route(props: Mapping[str, Any], functions: set[str]) -> Route:
    _only(props, ROUTE)
    path, function = props.get("path"), props.get("functionName")
    if not isinstance(path, str) or not path.startswith("/") or "*" in path[:-1]:
        raise DomainError(f"path: want /exactly or /below/*, found {path!r}")
    if not isinstance(function, str) or function not in functions:
        raise DomainError(f"{path}: there is no function {function!r}")
    return Route(path=path, function=function, methods=tuple(props.get("methods") or ()))


def _only(props: Mapping[str, Any], known: set[str]) -> None:
    for key in sorted(set(props) - known):
        raise DomainError(f"{key}: not modelled (known are {', '.join(sorted(known))})")
