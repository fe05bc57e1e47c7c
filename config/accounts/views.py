"""Tokens for programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts import tokens
from config.accounts.sign_in import sign_in_program
from config.throttles import SignInThrottle


class CredentialsSerializer(serializers.Serializer[Any]):
    """`otp`: the current code, where the account has a second factor."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    otp = serializers.CharField(required=False, default="", allow_blank=True, max_length=64)


class PairSerializer(serializers.Serializer[Any]):
    """`access` is sent with each request; `refresh` is exchanged, once, for a new pair."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class RefreshSerializer(serializers.Serializer[Any]):
    """A refresh token."""

    refresh = serializers.CharField(max_length=8192)


class OpenView(APIView):
    """A view for callers that have no access token yet."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [SignInThrottle]


class TokenView(OpenView):
    """Sign in."""

    @extend_schema(request=CredentialsSerializer, responses=PairSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Exchange a user name and a password for a pair of tokens."""
        body = CredentialsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        pair = sign_in_program(request._request, **body.validated_data)
        return Response(PairSerializer(pair).data)


class RefreshView(OpenView):
    """Stay signed in."""

    @extend_schema(request=RefreshSerializer, responses=PairSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair. Using one twice ends all of its family."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(PairSerializer(tokens.rotate(body.validated_data["refresh"])).data)


class RevokeView(OpenView):
    """Sign out."""

    @extend_schema(request=RefreshSerializer, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """End the family of a refresh token, access tokens included."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tokens.revoke(body.validated_data["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)
