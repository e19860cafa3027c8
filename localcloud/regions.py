# ruff: noqa: RUF001 - the vendor's own names
"""The regions that exist, with the names that DescribeRegions shows.

Ids as in the vendor's list: https://www.alibabacloud.com/help/en/ecs/regions-and-zones; a world can narrow them with
its key `regions`.
"""

from __future__ import annotations

from collections.abc import Mapping

REGIONS: Mapping[str, tuple[str, str]] = {
    "cn-qingdao": ("华北1（青岛）", "China (Qingdao)"),
    "cn-beijing": ("华北2（北京）", "China (Beijing)"),
    "cn-zhangjiakou": ("华北3（张家口）", "China (Zhangjiakou)"),
    "cn-huhehaote": ("华北5（呼和浩特）", "China (Hohhot)"),
    "cn-wulanchabu": ("华北6（乌兰察布）", "China (Ulanqab)"),
    "cn-hangzhou": ("华东1（杭州）", "China (Hangzhou)"),
    "cn-shanghai": ("华东2（上海）", "China (Shanghai)"),
    "cn-shenzhen": ("华南1（深圳）", "China (Shenzhen)"),
    "cn-heyuan": ("华南2（河源）", "China (Heyuan)"),
    "cn-guangzhou": ("华南3（广州）", "China (Guangzhou)"),
    "cn-chengdu": ("西南1（成都）", "China (Chengdu)"),
    "cn-hongkong": ("中国香港", "China (Hong Kong)"),
    "ap-northeast-1": ("日本（东京）", "Japan (Tokyo)"),
    "ap-northeast-2": ("韩国（首尔）", "South Korea (Seoul)"),
    "ap-southeast-1": ("新加坡", "Singapore"),
    "ap-southeast-3": ("马来西亚（吉隆坡）", "Malaysia (Kuala Lumpur)"),
    "ap-southeast-5": ("印度尼西亚（雅加达）", "Indonesia (Jakarta)"),
    "ap-southeast-6": ("菲律宾（马尼拉）", "Philippines (Manila)"),
    "ap-southeast-7": ("泰国（曼谷）", "Thailand (Bangkok)"),
    "us-east-1": ("美国（弗吉尼亚）", "US (Virginia)"),
    "us-west-1": ("美国（硅谷）", "US (Silicon Valley)"),
    "eu-west-1": ("英国（伦敦）", "UK (London)"),
    "eu-central-1": ("德国（法兰克福）", "Germany (Frankfurt)"),
    "me-east-1": ("阿联酋（迪拜）", "UAE (Dubai)"),
    "me-central-1": ("沙特（利雅得）", "SAU (Riyadh)"),
}
"""Region id -> (Chinese name, English name)."""

DESKTOP_REGIONS = frozenset(
    {"me-central-1", "cn-qingdao", "cn-beijing", "cn-zhangjiakou", "cn-wulanchabu", "cn-hangzhou", "cn-shanghai"}
    | {"cn-shenzhen", "cn-guangzhou", "cn-chengdu", "cn-hongkong", "ap-northeast-1", "ap-southeast-1"}
    | {"ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "us-west-1", "eu-west-1", "eu-central-1"}
)
"""The regions of Elastic Desktop Service among them:
https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-endpoint"""


def ecd_endpoint(region: str) -> str:
    """The host of Elastic Desktop Service in a region."""
    return f"ecd.{region}.aliyuncs.com"


def ecs_endpoint(region: str) -> str:
    """The ECS host of a region."""
    return f"ecs.{region}.aliyuncs.com"
