"""Refusals of Elastic Desktop Service for images.

No page names a code of these calls. So the product's own is answered where it has one for the same thing
(`InvalidImageStatus.NotValid`), that of its sister product for deleting
(https://www.alibabacloud.com/help/en/wuying-appstreaming/developer-reference/api-appstream-center-2021-09-01-deleteimage),
else what ECS answers to the same refusal. A client that tells refusals apart by them relies on what nobody promised.
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "ImageDeleteFailed.NotAllowSharedImage": (400, "The shared image is not allowed to be deleted."),
        "InvalidAccount.Forbbiden": (404, "The specified Account does not yourself."),
        "InvalidAccount.NotFound": (404, "The specified account {account} does not exist."),
        "InvalidImageId.NotFound": (404, "The specified ImageId does not exist."),
        "InvalidImageStatus.NotValid": (400, "The specified image status is not valid."),
        "NoPermission": (403, "You are not authorized to perform this operation."),
        "OperationDeined.EncryptedSnapshot": (
            403,
            "The image contains encrypted snapshots, which do not support share.",
        ),
        "QuotaExceed.ShareImageUser": (403, "The shared Image user Quota exceeds."),
    }
)
