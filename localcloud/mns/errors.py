"""Refusals of Simple Message Queue.

Codes, statuses and messages (spelt so) as at
https://help.aliyun.com/zh/mns/developer-reference/syntax-of-error-responses and
https://www.alibabacloud.com/help/en/mns/developer-reference/message-management-publishmessage.
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "AccessDenied": (403, "The OwnerId that your Access Key Id associated to is forbidden for this operation."),
        "InternalError": (500, "Interal error."),
        "InvalidAccessKeyId": (403, "The AccessKey Id you provided is not exist."),
        "InvalidArgument": (400, "{why}"),
        "InvalidAuthorizationHeader": (400, "The Authorization header format is invalid."),
        "InvalidDateHeader": (400, "The Date header format is invalid."),
        "InvalidDegist": (400, "The Content-MD5 you specified is invalid."),
        "InvalidRequestURL": (400, "Http request URL format invalid."),
        "MalformedXML": (400, "The XML you provided was not well-formed."),
        "MissingAuthorizationHeader": (400, "Authorization header is required."),
        "MissingDateHeader": (400, "Date header is required."),
        "QpsLimitExceeded": (400, "The qps limit of the queue is exceeded"),
        "QueueNotExist": (404, "The queue name you provided is not exist."),
        "SignatureDoesNotMatch": (
            403,
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        ),
        "TimeExpired": (408, "The http request you sent is expired."),
        "TopicNotExist": (404, "The topic you provided does not exist."),
    }
)
