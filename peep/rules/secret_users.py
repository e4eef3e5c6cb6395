r"""Names of users that were tried and do not exist: people type passwords there.

Of a program that does not say whether a name exists, every name that failed counts.
"""

from peep.rules.forms import Form

# The end of sshd's sentences about a user.
_SSHD_END = (
    r"(?:(?: from \S+(?: port \d+)?(?: ssh\d?)?| \S+ port \d+(?:: .*)?)?"
    r"(?: \[preauth\])?\]?)?$"
)
_UNTIL_QUOTE = r"""["'\])>`]?"""

USERS = (
    # sshd
    Form(
        "user",
        r"(?i:invalid|illegal|nonexistent) (?i:user|login|account)",
        r"(?: ?:)? (.*?)" + _SSHD_END,
    ),
    Form(
        "user",
        r"Change of username or service not allowed: ",
        r"\((.*?),[\w-]+\) -> \((.*?),[\w-]+\)",
    ),
    # PAM
    Form("user", r"check pass; user \(", r"(.*)\) unknown"),
    Form("user", r"bad username \[", r"(.*)\]"),
    Form("user", r"error retrieving information about user ", r"(.*)"),
    Form(
        "user",
        r"pam_(?:sss|winbind|ldap|krb5|radius|tacplus|duo|mysql|pgsql|script)",
        r"\S* authentication failure;.* user=(.*)",
    ),
    Form("user", r"\([Uu]ser not known", "", r"received for user (.*): \d+ "),
    Form("user", r"acct=", r"\"?([^\s\"]+)\"?.* res=(?:failed|0)"),
    # login, su, sudo, and whoever speaks like them
    Form("user", r"FAILED LOGIN ", r".*?FOR (?:[`'\"](.*)['\"](?:,|$)|(.*?)(?:, |$))"),
    Form("user", r"LOGIN FAILURE", r"S? (?:ON|FROM) [^\s,]+, (.*)"),
    Form("user", r"(?i:invalid password for) ", r"[`'\"](.*?)[`'\"](?: |$)"),
    Form("user", r"No passwd entry for user ", r"[`'\"]?(.*?)[`'\"]?$"),
    Form(
        "user",
        r"(?i:unknown|no such) (?i:user|username|login|account|role)",
        r"(?: ?:)? [\"'`<\[(]?(.+?)" + _UNTIL_QUOTE + r"(?: from .*| \(.*| in .*)?$",
    ),
    Form(
        "user",
        r" (?i:does(?: not|n't) exist|(?:was |is )?not found"
        r"|is (?:unknown|not known)|denied access|failed to authenticate)",
        "",
        r"(?i:user|role|account)(?: name)?:? [\"'`\[(]?(.*?)" + _UNTIL_QUOTE,
    ),
    Form(
        "user",
        r"(?i:(?:authentication|login|logon) (?:failed|failure) for) ",
        r"(?i:(?:user|account|login|username):? )[\"'`\[(<]?(.*?)"
        + _UNTIL_QUOTE
        + r"(?: from .*| \(.*|, .*)?$",
    ),
    Form(
        "user",
        r"(?i:(?:failed login|login failed|failed authentication attempt) for"
        r"|(?:invalid|non-existent) login as) ",
        r"(.*?)(?: from .*| against .*| \(.*)?$",
    ),
    Form("user", r"(?i:login failed: )", r"'?(.*?)'? \(Remote IP"),
    Form("user", r"(?i:username or password error for user: )", r"(.*)"),
    # web servers: the user of a request that was refused
    Form(
        "user",
        r"\" 401 ",
        "",
        r"(?:^[0-9A-Fa-f:.]{7,} [^ -]\S* | - )(.+?) \[\d\d?/\w{3}/\d{4}:[^\]]*\] "
        r"\"(?:[^\"\\]|\\.)*",
    ),
    # databases
    Form("user", r"Access denied for user ", r"'(.*?)'@'"),
    Form("user", r"authentication failed for user \"", r"(.*)\""),
    Form("user", r"no pg_hba.conf entry for ", r".*? user \"(.*)\", database \""),
    Form("user", r"closing because: ", "", r" [^\s/]+/(\S+)@\S+ "),
    Form("user", r"UserNotFound", "", r"\"principalName\":\"((?:[^\"\\]|\\.)*)\".*"),
    Form("user", r"Could not find user ", r"[\"'\\]*(.*?)(?:[\"'\\@]|$)"),
    # mail
    Form("user", r"authentication failed", r".*sasl_username=(.*)"),
    Form("user", r"auth failure: \[user=", r"(.*?)\] \[service="),
    Form(
        "user",
        r"(?:auth failed|unknown user|[Aa]uthentication failed)",
        r".*?user=<(.*?)>,",
    ),
    Form(
        "user",
        r"\): (?:[Uu]nknown user|[Uu]ser not found"
        r"|pam_authenticate\(\) failed: [Uu]ser not known)",
        "",
        r"\b[a-z-]+\((.*?),[0-9A-Fa-f.:]+(?:,<[^>]*>)?",
    ),
    Form("user", r"Incorrect authentication data \(set_id=", r"(.*?)\)(?: |$|:)"),
    Form("user", r"badlogin: ", r"\S+ (?:\[\S+\] )?\S+ (.*?) (?:SASL|\[)"),
    Form("user", r"LOGIN FAILED, ", r".*?user=(.*?), ip="),
    # file transfer, file sharing, network access
    Form(
        "user",
        r"\] FAIL LOGIN: ",
        "",
        r"(?:vsftpd(?:\[\d+\])?: (?:\[pid \d+\] )?|\[pid \d+\] )\[(.*?)",
    ),
    Form("user", r"\) \[WARNING\]", "", r"pure-ftpd: \((.*)@\S*"),
    Form("user", r"failed for user \[", r"(.*)\]$"),
    Form("user", r": no such user found", "", r"USER (.*?)"),
    Form("user", r"NO_SUCH_USER", "", r"user \[[^\]]*\]\\\[(.*?)\] at .*"),
    Form("user", r"\] FAILED with error", "", r"for user \[(.*?)\] -> \[(.*)"),
    Form("user", r": [Ii]nvalid user: \[", r"(.*?)\] \(from client"),
    Form("user", r"Login incorrect", r"[^\[]*: \[(.*?)\] \(from client"),
    Form("user", r"(?:CLIENT_NOT_FOUND: |Client not found: )", r"(\S+)"),
    # others
    Form("user", r"[\"'`\])>] unknown", "", r"(?i:user|account) [\"'`\[<(](.*)"),
    Form("user", r"Refused user ", r"(\S+)"),
    Form("user", r"> request denied by validnames", "", r"<\w+=\"(.*)\""),
    Form("user", r"(?i:user with name) ", r"(.*): No such user"),
    Form("user", r"(?i:user not found: )", r"\\*[\"']?([^\"'\\]*)"),
    Form("user", r"name: ", r"([^\]]*)\]", r"does not exist \[.*"),
    Form("user", r"Username: ", r"(.*?)\.?$", r"(?i:incorrect).*"),
    Form("user", r"Registration from ", r"'(.*)' failed for"),
    Form("user", r"TCP_DENIED/407 ", r"\S+ \S+ \S+ (\S+)"),
)
