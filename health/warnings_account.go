package health

func expiryWarnings() []Warning {
	return []Warning{
		expiry(Certificate60Days, Info, "60 days", "60 天", "60 天"),
		expiry(Certificate30Days, Info, "30 days", "30 天", "30 天"),
		expiry(Certificate14Days, Warn, "14 days", "14 天", "14 天"),
		expiry(Certificate7Days, Warn, "7 days", "7 天", "7 天"),
		expiry(Certificate1Day, Red, "one day", "1 天", "1 天"),
	}
}

// expiry words the notice of one number of days. Only the merchant's super administrator can order the new certificate.
func expiry(code Code, severity Severity, en, hans, hant string) Warning {
	return Warning{code, severity,
		Words{"The merchant certificate expires within " + en, "商户证书将在 " + hans + "内到期", "商戶證書將在 " + hant + "內到期"},
		Words{"Have the super administrator order a new one on the merchant platform (account settings, API security); the old one may stop 48 hours later, so install the new one at once.",
			"请超级管理员在商户平台（账户设置、API安全）申请新证书；旧证书可能在 48 小时后失效，请立即安装新证书。",
			"請超級管理員在商戶平台（帳戶設定、API安全）申請新證書；舊證書可能在 48 小時後失效，請立即安裝新證書。"},
		[]Reader{Manager, Installer}, atOnce}
}

func certificateWarnings() []Warning {
	return []Warning{
		{CertificateExpired, Red,
			Words{"By this PC's clock the merchant certificate has expired", "按本机时钟，商户证书已过期", "按本機時鐘，商戶證書已過期"},
			Words{"Look at the PC's date first. If it is right, take cash and have the super administrator order a new certificate on the merchant platform.",
				"请先核对本机日期。如日期正确，请收现金，并由超级管理员在商户平台申请新证书。",
				"請先核對本機日期。如日期正確，請收現金，並由超級管理員在商戶平台申請新證書。"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{CertificateNotYetValid, Red,
			Words{"By this PC's clock the merchant certificate is not valid yet", "按本机时钟，商户证书尚未生效", "按本機時鐘，商戶證書尚未生效"},
			Words{"The PC's date is most likely wrong. Set it: timedatectl set-ntp true",
				"本机日期很可能有误，请校准：timedatectl set-ntp true",
				"本機日期很可能有誤，請校準：timedatectl set-ntp true"},
			[]Reader{Cashier, Manager, Installer}, atOnce},
		{CertificateUnknownKind, Warn,
			Words{"The merchant certificate comes from an issuer that posagent does not know", "商户证书的签发者未知", "商戶證書的簽發者未知"},
			Words{"Nothing to do in a trial. Otherwise download the certificate from the merchant platform again.",
				"试用环境无需处理。否则请从商户平台重新下载证书。",
				"試用環境無需處理。否則請從商戶平台重新下載證書。"},
			[]Reader{Installer}, atOnce},
		{CertificateRestart, Info,
			Words{"A new certificate is installed and waits for a restart", "新证书已安装，重启后生效", "新證書已安裝，重新啟動後生效"},
			Words{"Restart when no payment is open: systemctl restart posagent",
				"请在没有未完成的收款时重启：systemctl restart posagent",
				"請在沒有未完成的收款時重新啟動：systemctl restart posagent"},
			[]Reader{Manager, Installer}, atOnce},
		{CertificateWrongKind, Red,
			Words{"The merchant certificate was issued by WeChat Pay itself, which API v3 does not take", "商户证书由微信支付自行签发，不能用于 API v3", "商戶證書由微信支付自行簽發，不能用於 API v3"},
			Words{"Have the super administrator press Upgrade beside the certificate on the merchant platform, and install the new one.",
				"请超级管理员在商户平台的证书处点击“升级”，并安装新证书。",
				"請超級管理員在商戶平台的證書處點擊「升級」，並安裝新證書。"},
			[]Reader{Manager, Installer}, atOnce},
		{CertificateWrongMerchant, Red,
			Words{"The certificate is made out to another merchant number than the configuration's", "证书的商户号与配置中的商户号不一致", "證書的商戶號與設定中的商戶號不一致"},
			Words{"Correct merchant_id in the configuration, or install this merchant's own certificate and key.",
				"请更正配置中的 merchant_id，或安装该商户自己的证书和私钥。",
				"請更正設定中的 merchant_id，或安裝該商戶自己的證書和私鑰。"},
			[]Reader{Installer}, atOnce},
		{CertificateUnreadable, Red,
			Words{"The merchant certificate cannot be read", "无法读取商户证书", "無法讀取商戶證書"},
			Words{"Install apiclient_cert.pem of the merchant platform where the configuration says.",
				"请把商户平台的 apiclient_cert.pem 安装到配置指定的位置。",
				"請把商戶平台的 apiclient_cert.pem 安裝到設定指定的位置。"},
			[]Reader{Installer}, atOnce},
		{PlatformCertificate, Warn,
			Words{"WeChat Pay's own certificates cannot be renewed", "无法更新微信支付的平台证书", "無法更新微信支付的平台證書"},
			Words{"Selling goes on with the ones on hand. Run: posagent check, before they run out.",
				"现有证书仍可使用。请在其到期前运行：posagent check。",
				"現有證書仍可使用。請在其到期前執行：posagent check。"},
			[]Reader{Installer}, afterFlap},
	}
}

func keyWarnings() []Warning {
	return []Warning{
		{KeyMismatch, Red,
			Words{"The private key does not belong to the merchant certificate", "私钥与商户证书不匹配", "私鑰與商戶證書不相符"},
			Words{"Install the apiclient_key.pem that was made together with this certificate.",
				"请安装与该证书一同生成的 apiclient_key.pem。",
				"請安裝與該證書一同產生的 apiclient_key.pem。"},
			[]Reader{Installer}, atOnce},
		{KeyUnreadable, Red,
			Words{"The private key cannot be read", "无法读取私钥", "無法讀取私鑰"},
			Words{"Install apiclient_key.pem of the merchant platform where the configuration says, without a password, readable by the user posagent.",
				"请把商户平台的 apiclient_key.pem（无密码）安装到配置指定的位置，并允许用户 posagent 读取。",
				"請把商戶平台的 apiclient_key.pem（無密碼）安裝到設定指定的位置，並允許使用者 posagent 讀取。"},
			[]Reader{Installer}, atOnce},
		{APIKeyWrong, Red,
			Words{"The API v3 key is not one: it has exactly 32 characters", "API v3 密钥不正确：应为 32 个字符", "API v3 密鑰不正確：應為 32 個字元"},
			Words{"Set an API v3 key on the merchant platform (it is another than the older API key) and install it alone in its file.",
				"请在商户平台设置 API v3 密钥（不同于旧的 API 密钥），并单独存入其文件。",
				"請在商戶平台設定 API v3 密鑰（不同於舊的 API 密鑰），並單獨存入其檔案。"},
			[]Reader{Installer}, atOnce},
		{SecretReadable, Warn,
			Words{"Other users of this PC can read or change a file with a secret", "本机其他用户可以读取或改动含有密钥的文件", "本機其他使用者可以讀取或改動含有密鑰的檔案"},
			Words{"Give it to the service alone: chown posagent FILE; chmod 600 FILE",
				"请仅允许服务读取：chown posagent FILE；chmod 600 FILE",
				"請僅允許服務讀取：chown posagent FILE；chmod 600 FILE"},
			[]Reader{Installer}, atOnce},
	}
}

func paymentWarnings() []Warning {
	return []Warning{
		{PaymentAttention, Red,
			Words{"A payment needs a person", "有一笔款项需要人工处理", "有一筆款項需要人工處理"},
			Words{"Call the manager; do not charge this sale again by WeChat Pay. The page shows the payment and what is known of it.",
				"请通知店长；此单请勿再用微信支付收款。页面会显示该款项及已知情况。",
				"請通知店長；此單請勿再用微信支付收款。頁面會顯示該款項及已知情況。"},
			[]Reader{Cashier, Manager}, atOnce},
		{PaymentSetAside, Red,
			Words{"A payment that was set aside is still open", "有一笔搁置的款项尚未了结", "有一筆擱置的款項尚未了結"},
			Words{"Do not charge that sale again by WeChat Pay. It is followed up by itself; look at it before the day is closed.",
				"该单请勿再用微信支付收款。系统会继续跟进，请在日结前查看。",
				"該單請勿再用微信支付收款。系統會繼續跟進，請在日結前查看。"},
			[]Reader{Cashier, Manager}, atOnce},
		{PaidNotAnnounced, Red,
			Words{"A payment was paid, and nobody has confirmed having seen it", "有一笔款项已支付，但无人确认", "有一筆款項已付款，但無人確認"},
			Words{"Open it on the page and answer: goods given, or give the money back.",
				"请在页面上打开并选择：已交付商品，或退款。",
				"請在頁面上開啟並選擇：已交付商品，或退款。"},
			[]Reader{Cashier, Manager}, afterStarting},
	}
}

func accessWarnings() []Warning {
	return []Warning{
		{APIOpenToNetwork, Info,
			Words{"Other machines can reach the local API, and the traffic is not encrypted", "其他机器可以访问本地 API，且通信未加密", "其他機器可以存取本機 API，且通訊未加密"},
			Words{"Put a TLS proxy in front, or write listen = \"127.0.0.1:7080\" if only this PC uses it.",
				"请在前面设置 TLS 代理；如仅本机使用，请写 listen = \"127.0.0.1:7080\"。",
				"請在前面設置 TLS 代理；如僅本機使用，請寫 listen = \"127.0.0.1:7080\"。"},
			[]Reader{Installer}, atOnce},
	}
}
