"""A session's tokens as an answer: in the body for programs, in cookies for browsers."""

from __future__ import annotations

from fastapi import Request, Response

from modelyard.accounts.outcomes import Denied
from modelyard.accounts.sessions import Grant
from modelyard.composition import Composition
from modelyard.kit.errors import FieldError, Invalid
from modelyard.web.auth_schemas import CookieSession, TokenPair


class SessionAnswers:
    """Answers a login. With `cookies`, the request must come from one of our own pages: a stranger's page
    must not log its visitors in to an account of its choice.
    """

    def __init__(
        self, services: Composition, request: Request, response: Response, *, cookies: bool = False
    ) -> None:
        self._services = services
        self._response = response
        self._cookies = cookies
        self.user_id = ""
        if cookies:
            services.cookies.check_origin(request.headers)

    def of(self, outcome: Grant | Denied) -> TokenPair | CookieSession:
        """The tokens, or the problem: raised only now that what it changed is committed."""
        services = self._services
        if isinstance(outcome, Denied):
            if outcome.revoke is not None:
                services.revocations.publish(outcome.revoke.user_id, [outcome.revoke.id])
            raise outcome.problem
        self.user_id = outcome.user_id
        if not self._cookies:
            return TokenPair.model_validate(outcome)
        csrf = services.tokens.csrf(services.tokens.verify(outcome.access_token))
        begun = services.cookies.begin(access=outcome.access_token, refresh=outcome.refresh_token, csrf=csrf)
        for cookie in begun:
            self._response.headers.append("set-cookie", cookie)
        return CookieSession(csrf_token=csrf, expires_in=outcome.expires_in)


def refreshing(
    services: Composition, request: Request, response: Response, token: str | None
) -> tuple[SessionAnswers, str]:
    """The refresh token of this request, and how to answer it: as it came. One in a cookie needs the CSRF
    token.
    """
    if token is not None:
        return SessionAnswers(services, request, response), token
    cookie = services.cookies.refresh(request.headers)
    if cookie is None:
        raise Invalid(
            "Send the refresh token.", errors=[FieldError("/refresh_token", "This field is required.")]
        )
    claims = services.tokens.verify(cookie, kind="refresh")
    services.cookies.check_write(request.headers, services.tokens.csrf(claims))
    return SessionAnswers(services, request, response, cookies=True), cookie


def without_cookies(services: Composition, request: Request) -> Response:
    """204, and the cookies taken away where there were some."""
    response = Response(status_code=204)
    if services.cookies.access(request.headers) is not None:
        for cookie in services.cookies.end():
            response.headers.append("set-cookie", cookie)
    return response
